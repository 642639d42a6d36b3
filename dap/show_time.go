//go:build linux && amd64

package dap

import (
	bin "encoding/binary"
	"fmt"
	"time"
)

// Layout of time.Time (time/time.go).
const (
	hasMonotonic  = 1 << 63
	nanosecMask   = 1<<30 - 1
	secondsTo1885 = (1884*365 + 1884/4 - 1884/100 + 1884/400) * 86400
	secondsTo1970 = (1969*365 + 1969/4 - 1969/100 + 1969/400) * 86400
)

func showTime(v val) (string, bool) {
	t, mono, zone, ok := readTime(v)
	if !ok {
		return "", false
	}
	if t.Year() < 0 || t.Year() > 9999 {
		return "", false // RFC 3339 has four digits
	}
	s := t.Format(time.RFC3339Nano)
	if t.IsZero() {
		s += " (zero)"
	}
	if zone != "" {
		s += " " + zone
	}
	if mono != 0 {
		s += fmt.Sprintf(" m=%+.9f", time.Duration(mono).Seconds())
	}
	return s, true
}

// readTime decodes a time.Time. zone is the name to tell besides the offset.
func readTime(v val) (t time.Time, mono int64, zone string, ok bool) {
	wall, ok1 := v.field("wall").uint()
	ext, ok2 := v.field("ext").int()
	if !ok1 || !ok2 {
		return t, 0, "", false
	}
	sec := ext - secondsTo1970
	if wall&hasMonotonic != 0 {
		sec = int64(wall<<1>>31) + secondsTo1885 - secondsTo1970
		mono = ext
	}
	t = time.Unix(sec, int64(wall&nanosecMask)).UTC()
	loc := v.field("loc").deref()
	if !loc.ok() {
		return t, mono, "", true
	}
	name, _, _ := loc.field("name").str(64)
	if name == "" || name == "UTC" {
		return t, mono, "", true
	}
	if off, abbr, known := zoneAt(loc, sec); known {
		return t.In(time.FixedZone(abbr, off)), mono, zoneName(name, abbr), true
	}
	if name != "Local" { // the agent's own idea of Local may be another
		if l, err := time.LoadLocation(name); err == nil {
			return t.In(l), mono, name, true
		}
	}
	return t, mono, "(shown in UTC; its zone is " + name + ")", true
}

func zoneName(name, abbr string) string {
	if name == "Local" {
		return abbr
	}
	return name
}

// maxTransitions bounds the changes of a zone's offset that are read; New York
// has 236.
const maxTransitions = 4096

// zoneAt is the offset of a time.Location at a time, by the tables that the
// service has in memory. Times that only the zone's rule tells
// (Location.extend) are not known.
func zoneAt(loc val, sec int64) (offset int, abbr string, known bool) {
	start, ok1 := loc.field("cacheStart").int()
	end, ok2 := loc.field("cacheEnd").int()
	if cached := loc.field("cacheZone").deref(); cached.ok() && ok1 && ok2 && start <= sec && sec < end {
		return zoneOf(cached)
	}
	zones, _ := loc.field("zone").elems(maxTransitions)
	changes, n := loc.field("tx").elems(maxTransitions)
	if len(zones) == 0 || int64(len(changes)) != n {
		return 0, "", false
	}
	if n == 0 { // a fixed zone
		return zoneOf(zones[0])
	}
	size := int(changes[0].t.Size())
	raw := make([]byte, size*len(changes)) // one read, not one for each
	if size < 9 || !loc.x.read(raw, changes[0].addr) {
		return 0, "", false
	}
	at := -1
	for i := range changes {
		if int64(bin.LittleEndian.Uint64(raw[i*size:])) <= sec {
			at = i
		}
	}
	extend, _, _ := loc.field("extend").str(128)
	if at < 0 || at == len(changes)-1 && extend != "" {
		return 0, "", false
	}
	index := int(raw[at*size+8]) // zoneTrans: when int64, index uint8
	if index >= len(zones) {
		return 0, "", false
	}
	return zoneOf(zones[index])
}

func zoneOf(z val) (int, string, bool) {
	off, ok := z.field("offset").int()
	abbr, _, ok2 := z.field("name").str(32)
	return int(off), abbr, ok && ok2 && off > -86400 && off < 86400
}

func showDuration(v val) (string, bool) {
	n, ok := v.int()
	return time.Duration(n).String(), ok
}
