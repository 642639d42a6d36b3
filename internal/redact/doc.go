// Package redact decides what of a service's data is a secret, and takes it out
// of texts.
//
// It owns the rules: names that mark a secret, patterns that values have, the
// file that changes both, and the set of secrets that are known by their content.
// It must not know Delve, DAP or JSON-RPC, and reads nothing but what it is
// given: package taint finds the secrets in a service with these rules.
//
// A [Policy] is immutable and may be used by any goroutine, as may a [Secrets].
// There are no goroutines here. Every function takes time in proportion to its
// input: what is matched was chosen by others.
package redact

// Mark is what a redacted value is shown as.
const Mark = "‹redacted›"

// Fill is what stands in the place of a secret's byte at addr, where its length
// must stay as it is: in memory. Two characters in turn are told from the text
// of a program ([Collapse]) where one repeated is not.
func Fill(addr uint64) byte { return "~^"[addr&1] }

// minFill is the shortest run that Collapse takes for one: secrets have
// [MinSecret] bytes, and the end of one may have been cut.
const minFill = 4

// Collapse puts [Mark] in the place of what [Fill] has filled, so that not even
// the length shows.
func Collapse(s string) string {
	var b []byte
	done := 0
	for i := 0; i+minFill <= len(s); {
		end := fillRun(s, i)
		if end-i < minFill {
			i = max(end-1, i+1) // the last character may begin the next run
			continue
		}
		b = append(append(b, s[done:i]...), Mark...)
		done, i = end, end
	}
	if done == 0 {
		return s
	}
	return string(append(b, s[done:]...))
}

// fillRun is where the run of fill that begins at i ends.
func fillRun(s string, i int) int {
	if s[i] != '~' && s[i] != '^' {
		return i
	}
	end := i + 1
	for end < len(s) && s[end] == '~'^'^'^s[end-1] {
		end++
	}
	return end
}

// Filled tells whether data has a run of fill that only a secret leaves.
func Filled(data []byte) bool {
	for i := 0; i+MinSecret <= len(data); {
		end := fillRun(string(data[i:min(len(data), i+MinSecret)]), 0)
		if end >= MinSecret {
			return true
		}
		i += max(end, 1)
	}
	return false
}
