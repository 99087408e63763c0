# Reads what ctest prints and prints it again. Before ctest's own summary, which ends the output, it puts one line that
# counts the tests that were skipped, by reason. Their names, which ctest would list, are in LOG.
#   ctest --test-dir BUILD | awk -v log_file=BUILD/Testing/Temporary/LastTest.log -f scripts/summary.awk
# The reason of a skipped test is the first line that it gives to GTEST_SKIP(), or what follows "SKIPPED: ".

# Counts the skipped tests of ctest's log by reason.
function count_skipped(   line, reason, next_is_reason) {
  while ((getline line < log_file) > 0) {
    if (line ~ /^[0-9]+\/[0-9]+ Test: /) {
      reason = "no reason given"
      next_is_reason = 0
    } else if (next_is_reason) {
      reason = line
      next_is_reason = 0
    } else if (reason == "no reason given" && line ~ /: Skipped$/) {
      next_is_reason = 1
    } else if (line ~ /^SKIPPED: /) {
      reason = substr(line, 10)
    } else if (line ~ /^Skip regular expression found in output/) {
      ++skipped
      if (!(reason in count)) order[++reasons] = reason
      ++count[reason]
    }
  }
}

function skipped_line(   i, k, text, swap) {
  for (i = 2; i <= reasons; ++i)  # the most frequent first
    for (k = i; k > 1 && count[order[k]] > count[order[k - 1]]; --k) {
      swap = order[k]; order[k] = order[k - 1]; order[k - 1] = swap
    }
  for (i = 1; i <= reasons; ++i) text = text (i > 1 ? ", " : " (") count[order[i]] " " order[i]
  return "skipped: " skipped + 0 text (reasons ? ")" : "")
}

/% tests passed, [0-9]+ tests? failed out of / { summary = 1 }
!summary { print; fflush(); next }
{ held[++lines] = $0 }

# The log is complete only when ctest has ended.
END {
  if (!summary) exit
  count_skipped()
  print skipped_line() "\n"
  for (i = 1; i <= lines; ++i) {
    if (held[i] ~ /^\t *[0-9]+ - .*\(Skipped\)$/) continue
    if (held[i] == "") { blank = 1; continue }  # one empty line, if something follows
    if (held[i] ~ /^The following tests did not run:/) { title = held[i]; continue }  # if others than skipped follow
    if (blank) print ""
    if (title != "" && held[i] ~ /^\t/) print title
    blank = 0
    title = ""
    print held[i]
  }
}
