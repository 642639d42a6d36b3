package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a line: all of it is in the hands of whoever sends requests.
const (
	maxLine   = 32 << 10 // bytes of a line
	maxText   = 2 << 10  // bytes of one text in it
	shortText = 96       // the same in a line that would be too long otherwise
)

// format makes all of a line but its beginning, which finish knows; whole says that
// nothing was left out. A line that would be too long is made again of short texts: it
// must still say who did what.
func (w *writer) format(common, attrs []slog.Attr) (text []byte, whole bool) {
	c := &cleaner{scrub: w.cfg.Scrub, hide: w.cfg.Hide, most: maxText}
	text = encode(common, attrs, c)
	if n := len(text); n > maxLine-maxHead {
		attrs = append(attrs[:len(attrs):len(attrs)], slog.Int("cut_from", n))
		text = encode(common, attrs, &cleaner{scrub: w.cfg.Scrub, hide: w.cfg.Hide, most: shortText})
		return text, false
	}
	return text, !c.cut
}

// encode makes a JSON object of attributes alone, and a newline.
func encode(common, attrs []slog.Attr, c *cleaner) []byte {
	var buf bytes.Buffer
	h := slog.NewJSONHandler(&buf, &slog.HandlerOptions{ReplaceAttr: noBuiltins})
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	for _, list := range [][]slog.Attr{common, attrs} {
		for _, a := range list {
			if a.Key != "" {
				r.AddAttrs(c.attr(a))
			}
		}
	}
	_ = h.Handle(context.Background(), r) // a bytes.Buffer takes everything
	return printable(buf.Bytes())
}

// noBuiltins drops slog's own level and message, which are empty here.
func noBuiltins(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

// maxHead is what the beginning of a line can have.
const maxHead = 256

// finish puts the beginning before what format has made; seq 0 is left out.
func finish(now time.Time, event string, seq uint64, rest []byte) []byte {
	line := fmt.Appendf(nil, `{"time":%q,"event":%q`, timeValue(now).String(), event)
	if seq > 0 {
		line = fmt.Appendf(line, `,"seq":%d`, seq)
	}
	if rest = rest[1:]; rest[0] != '}' {
		line = append(line, ',')
	}
	return append(line, rest...)
}

func timeValue(t time.Time) slog.Value {
	return slog.StringValue(t.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

// printable escapes what JSON may hold as it is but a terminal or a person may
// misread: C1 controls, bidirectional overrides, zero width characters. Outside of
// its strings JSON is ASCII, so every such rune is in one.
func printable(line []byte) []byte {
	if !bytes.ContainsFunc(line, unprintable) {
		return line
	}
	out := make([]byte, 0, len(line)+64)
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		switch {
		case !unprintable(r):
			out = append(out, line[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		line = line[n:]
	}
	return out
}

func unprintable(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
