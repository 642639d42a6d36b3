//go:build linux && amd64

package adaptertest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// path is what requests ask for.
const path = "/orders/7"

// record is all that a client can tell about a response, as text: two servers
// behave alike if their records are equal. The error of a response that was cut
// off names ports and stream numbers, so that only the fact is recorded.
func record(resp *http.Response, err error) string {
	if err != nil {
		return "no response\n"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var b strings.Builder
	fmt.Fprintln(&b, resp.Proto, resp.Status)
	writeHeader(&b, resp.Header)
	fmt.Fprintf(&b, "%s\n", body)
	writeHeader(&b, resp.Trailer)
	if err != nil {
		fmt.Fprintln(&b, "cut off")
	}
	return b.String()
}

func writeHeader(w io.Writer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != "Date" {
			fmt.Fprintf(w, "%s: %q\n", name, h[name])
		}
	}
}
