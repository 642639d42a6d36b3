//go:build linux && amd64

package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// nameWidth is as wide as the longest name of a check.
const nameWidth = len("service-capabilities")

// WriteText writes one result for a person: a line, and one for each thing to do.
func WriteText(w io.Writer, r Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-4s  %-*s  %s\n", r.Status, nameWidth, r.Check, oneLine(r.Detail))
	for line := range strings.Lines(r.Advice) {
		fmt.Fprintf(&b, "      hint: %s\n", strings.TrimSpace(line))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// oneLine joins the lines of an error that several were joined into.
func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// WriteJSON writes all results as one array.
func WriteJSON(w io.Writer, results []Result) error {
	if results == nil {
		results = []Result{} // not null
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(results)
}

// Count tells how many results have the given status.
func Count(results []Result, status Status) int {
	n := 0
	for _, r := range results {
		if r.Status == status {
			n++
		}
	}
	return n
}
