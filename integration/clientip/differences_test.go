package clientip_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// difference is one row that a library answers in another way than the gate.
type difference struct {
	table, row, library string
	answer              answer // the library's
}

// explained is testdata/differences.txt: every difference that there is, and why.
//
//	== why, in one line
//	table/row: library=answer, library=answer
//
// Lines that begin with # are comments.
type explained map[difference]string

func readExplained(t *testing.T) explained {
	t.Helper()
	f, err := os.Open("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := explained{}
	why := ""
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "== "); ok {
			why = rest
			continue
		}
		tableName, rest, ok := strings.Cut(line, "/")
		last := strings.LastIndex(rest, ": ")
		if !ok || last < 0 || why == "" {
			t.Fatalf("differences.txt:%d: %q is not \"table/row: library=answer\" under a reason", n, line)
		}
		for _, one := range strings.Split(rest[last+2:], ", ") {
			library, a, _ := strings.Cut(one, "=")
			d := difference{tableName, rest[:last], library, answer(a)}
			if list[d] != "" {
				t.Fatalf("differences.txt:%d: %v is there twice", n, d)
			}
			list[d] = why
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
