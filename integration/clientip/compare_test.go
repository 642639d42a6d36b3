package clientip_test

import (
	"cmp"
	"flag"
	"net/http"
	"os"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
)

var printTable = flag.Bool("print", false, "print the comparison")

// result is what everybody says of one row. A library that does not read the
// header of the table has no answer.
type result struct {
	tb      *table
	row     row
	ours    answer
	answers map[string]answer
}

// TestCompare puts every row of every table through the gate and the libraries.
// The gate is to answer as the table says; where a library answers otherwise,
// differences.txt says why, so that neither changes unnoticed.
func TestCompare(t *testing.T) {
	var results []result
	for _, tb := range readTables(t) {
		results = append(results, compareTable(t, &tb)...)
	}
	list := readExplained(t)
	found := map[difference]bool{}
	for _, r := range results {
		for library, a := range r.answers {
			if a == r.ours {
				continue
			}
			d := difference{r.tb.name, r.row.Name, library, a}
			found[d] = true
			if list[d] == "" {
				t.Errorf("not explained: %s/%s: %s=%s (the gate: %s)", d.table, d.row, library, a, r.ours)
			}
		}
	}
	for d, why := range list {
		if !found[d] {
			t.Errorf("explained, but is no more: %s/%s: %s=%s (%s)", d.table, d.row, d.library, d.answer, why)
		}
	}
	if *printTable {
		if _, err := os.Stdout.WriteString(report(results, list)); err != nil {
			t.Fatal(err)
		}
	}
}

func compareTable(t *testing.T, tb *table) []result {
	g := newGate(t, tb)
	finders := map[string]func(*http.Request) string{}
	for _, rs := range resolvers {
		if find := rs.build(t, tb); find != nil {
			finders[rs.name] = find
		}
	}
	var results []result
	for _, row := range tb.Rows {
		client := g.Client(tb.request(row, ""))
		ours := unknown
		if client.Addr.IsValid() {
			ours = tb.judge(client.Addr.String())
		}
		checkOurs(t, tb, row, client, ours)
		answers := map[string]answer{}
		for _, rs := range resolvers {
			if find := finders[rs.name]; find != nil {
				answers[rs.name] = tb.judge(find(tb.request(row, rs.as)))
			}
		}
		results = append(results, result{tb, row, ours, answers})
	}
	return results
}

// checkOurs fails if the gate does not say of r what the table says.
func checkOurs(t *testing.T, tb *table, r row, got gate.Client, ours answer) {
	addr := ""
	if got.Addr.IsValid() {
		addr = got.Addr.String()
	}
	if want := tb.expected(r); ours != want {
		t.Errorf("%s/%s: the gate says %s, want %s", tb.name, r.Name, ours, want)
	}
	if r.Expect == "" && (addr != r.Addr || got.Reason != r.Reason) {
		t.Errorf("%s/%s: the gate finds %q (%s), want %q (%s)",
			tb.name, r.Name, cmp.Or(addr, "nobody"), got.Reason, cmp.Or(r.Addr, "nobody"), r.Reason)
	}
}
