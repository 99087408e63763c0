// Marks functions that nvcc compiles for the host and for the device.
#pragma once

#if defined(__CUDACC__)
#define VOXGRAD_HD __host__ __device__
#else
#define VOXGRAD_HD
#endif
