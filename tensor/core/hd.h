// Marks functions that are compiled for the host and, by nvcc, for the device too.
#pragma once

#if defined(__CUDACC__)
#define VOXGRAD_HD __host__ __device__
#else
#define VOXGRAD_HD
#endif
