package clientip_test

import (
	"fmt"
	"strings"
)

// short is how the table shows answers; a library that does not read the header
// shows as empty.
var short = map[answer]string{match: "match", noMatch: "no", unknown: "?", "": "."}

// report is the comparison for people.
func report(results []result, list explained) string {
	var b strings.Builder
	writeRows(&b, results)
	writeDifferences(&b, results, list, "They say match and the gate does not",
		func(ours, theirs answer) bool { return theirs == match && ours != match })
	writeDifferences(&b, results, list, "The gate says match and they do not",
		func(ours, theirs answer) bool { return ours == match && theirs != match })
	writeDifferences(&b, results, list, "Neither says match: one has an address, the other has none",
		func(ours, theirs answer) bool { return ours != match && theirs != match && ours != theirs })
	writeCounts(&b, results)
	return b.String()
}

func writeRows(b *strings.Builder, results []result) {
	b.WriteString("match: may be stopped; no: another client; ?: unknown client; .: does not read this header\n")
	last := ""
	for _, r := range results {
		if r.tb.name != last {
			last = r.tb.name
			fmt.Fprintf(b, "\n%s: %s, trusted %s", last, r.tb.Header, strings.Join(r.tb.prefixes(), " "))
			if r.tb.TrustUnix {
				b.WriteString(" and unix sockets")
			}
			fmt.Fprintf(b, "\n%-6s", "gate")
			for _, rs := range resolvers {
				fmt.Fprintf(b, " %-*s", width(rs.name), rs.name)
			}
			b.WriteString(" row | peer | header\n")
		}
		fmt.Fprintf(b, "%-6s", short[r.ours])
		for _, rs := range resolvers {
			mark := short[r.answers[rs.name]]
			if a, ok := r.answers[rs.name]; ok && a != r.ours {
				mark += "*"
			}
			fmt.Fprintf(b, " %-*s", width(rs.name), mark)
		}
		fmt.Fprintf(b, " %s | %s | %s\n", r.row.Name, r.row.Peer, headerText(r.row))
	}
}

func width(name string) int { return max(len(name), len("match*")) }

// headerText is the header of a row in one line, of which the start is enough.
func headerText(r row) string {
	var fields []string
	for _, f := range r.Headers {
		value := f[1]
		if len(value) > 100 {
			value = value[:100] + "..."
		}
		fields = append(fields, fmt.Sprintf("%s: %+q", f[0], value))
	}
	if len(fields) == 0 {
		return "no header"
	}
	return strings.Join(fields, " ")
}

// writeDifferences writes one line for each row and answer that differs from the
// gate's in the way that is asked for.
func writeDifferences(b *strings.Builder, results []result, list explained, title string, asked func(ours, theirs answer) bool) {
	fmt.Fprintf(b, "\n%s\n", title)
	lines := 0
	for _, r := range results {
		type group struct {
			theirs answer
			why    string
		}
		names := map[group][]string{}
		var order []group
		for _, rs := range resolvers {
			a, ok := r.answers[rs.name]
			if !ok || !asked(r.ours, a) {
				continue
			}
			g := group{a, list[difference{r.tb.name, r.row.Name, rs.name, a}]}
			if names[g] == nil {
				order = append(order, g)
			}
			names[g] = append(names[g], rs.name)
		}
		for _, g := range order {
			lines++
			fmt.Fprintf(b, "  %s/%s: %s: %s, gate: %s: %s\n",
				r.tb.name, r.row.Name, strings.Join(names[g], " "), g.theirs, r.ours, g.why)
		}
	}
	if lines == 0 {
		b.WriteString("  none\n")
	}
}

func writeCounts(b *strings.Builder, results []result) {
	fmt.Fprintf(b, "\n%-14s %6s %6s %12s %12s %12s\n", "of all rows", "asked", "same", "they match", "we match", "neither does")
	for _, rs := range resolvers {
		var asked, same, they, we, neither int
		for _, r := range results {
			a, ok := r.answers[rs.name]
			if !ok {
				continue
			}
			asked++
			switch {
			case a == r.ours:
				same++
			case a == match:
				they++
			case r.ours == match:
				we++
			default:
				neither++
			}
		}
		fmt.Fprintf(b, "%-14s %6d %6d %12d %12d %12d\n", rs.name, asked, same, they, we, neither)
	}
	fmt.Fprintf(b, "%d rows in all\n", len(results))
}
