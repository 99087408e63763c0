// The kernels on tiles with the instructions of the CPU (Intel AMX; tensor/gemm/cpu/tiles.h). A process may
// use tiles only if amx_state() says so; otherwise cpu::tile_kernels() (tensor/core/cpu/tables.h) does not
// return this table.
//
// The instructions are written as assembly. The intrinsics of GCC 12 want tile numbers as literals, and its
// _tile_loadd does not tell the compiler that it reads memory.
#include "tensor/gemm/cpu/tiles_kernels.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::TileNumber;

// The operand of LDTILECFG (Intel SDM, volume 2): palette 1, all eight tiles with full size.
struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

class AmxTiles {
 public:
  AmxTiles() {
    Configuration c;
    for (int i = 0; i < 8; ++i) {
      c.row_bytes[i] = cpu::kTileRowBytes;
      c.rows[i] = cpu::kTileRows;
    }
    asm volatile("ldtilecfg %0" : : "m"(c));
  }
  ~AmxTiles() { asm volatile("tilerelease" : : : "memory"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  template <int N>
  void zero(TileNumber<N>) {
    asm volatile("tilezero %%tmm%c0" : : "i"(N));
  }
  template <int N>
  void load(TileNumber<N>, const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(N) : "memory");
  }
  template <int N>
  void store(TileNumber<N>, void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(N) : "memory");
  }
  template <int C, int A, int B>
  void dot(TileNumber<C>, TileNumber<A>, TileNumber<B>) {
    static_assert(A != B && A != C && B != C, "the instruction is undefined for equal tiles");
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }
};

}  // namespace

const cpu::TileKernels& tile_kernels() {
  static const cpu::TileKernels table = cpu::TileCode<AmxTiles>::table();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
