# Rewrites a CUDA source for the host's compiler (emulation.h): launches and shared memory. The rest is plain C++.
#   cmake -DFROM=x.cu -DTO=x.cu.cc -P rewrite.cmake
file(READ ${FROM} text)
# kernel<arguments><<<configuration>>>(...)
string(REGEX REPLACE "([a-z0-9_]+(<[^<>;{}()]*(<[^<>;{}()]*>)?[^<>;{}()]*>)?)[ \n]*<<<"
  "::emulation::kernel([](auto... given) { \\1(given...); })(" text "${text}")
string(REPLACE ">>>" ")" text "${text}")
string(REGEX REPLACE "extern __shared__ ([a-z0-9]+) ([a-z]+)\\[\\]"
  "\\1* const \\2 = static_cast<\\1*>(::emulation::dynamic_shared())" text "${text}")
string(REGEX REPLACE "__shared__ ([^;]* )([a-z]+)((\\[[^;]*\\])?);"
  "static \\1\\2\\3; ::emulation::poison_shared(&\\2, sizeof \\2);" text "${text}")
string(REPLACE "#include <cuda_pipeline.h>" "" text "${text}")
file(WRITE ${TO} "#line 1 \"${FROM}\"\n${text}")
