package redact

import (
	"bytes"
	"encoding/json"
)

// JSON applies scrub to every string of a JSON text, the names of members
// included, and returns the text. What is no JSON it leaves as it is from there
// on. It reads the text once and copies it only if something changes.
func JSON(text []byte, scrub func(string) string) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(text); {
		open := bytes.IndexByte(text[i:], '"')
		if open < 0 {
			break
		}
		start := i + open
		end, escaped := stringEnd(text, start)
		if end < 0 {
			break
		}
		i = end
		inner := text[start+1 : end-1]
		if len(inner) < minFill {
			continue
		}
		s := string(inner)
		if escaped {
			if json.Unmarshal(text[start:end], &s) != nil {
				continue
			}
		}
		clean := scrub(s)
		if clean == s {
			continue
		}
		quoted, err := json.Marshal(clean)
		if err != nil {
			quoted = []byte(`"` + Mark + `"`)
		}
		out = append(append(out, text[done:start]...), quoted...)
		done = end
	}
	if done == 0 {
		return text
	}
	return append(out, text[done:]...)
}

// stringEnd is behind the quote that closes the string that begins at start, -1
// if there is none.
func stringEnd(text []byte, start int) (end int, escaped bool) {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			return i + 1, escaped
		}
	}
	return -1, escaped
}
