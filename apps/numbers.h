// Checks of numbers on the command line. Every option with a number has one of them, because CLI11 reads
// --seed -1 as 2^64 - 1, 010 as eight and 99999999999999999999 as 2^64 - 1, and its ranges accept NaN.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>

namespace voxgrad::apps {

/// Accepts a whole number from `low` to `high`, in decimal digits without leading zeros.
CLI::Validator whole_number(uint64_t low = 0, uint64_t high = UINT64_MAX);
/// Accepts a finite number from `low` to `high`.
CLI::Validator number(double low, double high);

}  // namespace voxgrad::apps
