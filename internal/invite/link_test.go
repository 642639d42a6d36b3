package invite

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// aLink is one that is right.
func aLink() Link {
	l := Link{Addr: "shop.example:2345", Expires: time.Unix(1_800_000_000, 0), process: Process{PID: 4711, Start: 9, BuildID: "b"}.id()}
	for i := range l.server {
		l.server[i] = byte(i)
	}
	for i := range l.secret {
		l.secret[i] = byte(200 + i)
	}
	return l
}

func TestLinkRoundTrip(t *testing.T) {
	for _, addr := range []string{"shop.example:2345", "203.0.113.7:1", "[2001:db8::1]:65535", "h:80"} {
		l := aLink()
		l.Addr = addr
		for _, text := range []string{l.Text(), "  " + l.Text() + "\r\n"} {
			if got, err := Parse(text); err != nil || got != l {
				t.Errorf("%q is read as %+v, %v", text, got, err)
			}
		}
	}
}

func TestLinkMistakes(t *testing.T) {
	l := aLink()
	good := l.Text()
	addr, secret, _ := strings.Cut(good, "#")
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	older := bytes.Clone(raw)
	older[0] = 9
	encode := base64.RawURLEncoding.EncodeToString
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no #"},
		{"an address", addr, "no #"},
		{"no address", "#" + secret, "HOST:PORT"},
		{"no port", "shop.example#" + secret, "HOST:PORT"},
		{"port 0", "shop.example:0#" + secret, "port"},
		{"port of a service", "shop.example:http#" + secret, "port"},
		{"a URL", "https://shop.example:2345#" + secret, "HOST:PORT"},
		{"a user", "alice@shop.example:2345#" + secret, "HOST:PORT"},
		{"the command too", "remotedbg connect " + good, "HOST:PORT"},
		{"cut off", good[:len(good)-4], "cut off"},
		{"nothing after it", addr + "#", "cut off"},
		{"another version", addr + "#" + encode(older), "another version"},
		{"more", addr + "#" + encode(append(raw, 1, 2, 3)), "cut off or too long"},
		{"much more", addr + "#" + strings.Repeat("A", 10_000), "too long"},
		{"padded", good + "=", "characters"},
		{"a line break", good[:60] + "\n" + good[60:], "characters"},
		{"two", good + "#" + secret, "characters"},
		{"standard base64", strings.Replace(good, "_", "/", 1) + "/", "characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if len(tt.text) > 40 && strings.Contains(err.Error(), secret[40:60]) {
				t.Errorf("the error has the secret in it: %v", err)
			}
		})
	}
}

func TestLinkIsNotPrintedByAccident(t *testing.T) {
	l := aLink()
	_, secret, _ := strings.Cut(l.Text(), "#")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, l); strings.Contains(text, secret[60:]) || text != "invitation to shop.example:2345" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestProcessesDiffer(t *testing.T) {
	seen := map[processID]Process{}
	for _, p := range []Process{{}, {PID: 1}, {Start: 1}, {PID: 11}, {PID: 1, Start: 1}, {PID: 1, BuildID: "1"}, {PID: 1, Start: 1, BuildID: "1"}, {PID: 1, Start: 11}} {
		if other, ok := seen[p.id()]; ok {
			t.Errorf("%+v and %+v look the same", p, other)
		}
		seen[p.id()] = p
	}
}

// FuzzParse: what is accepted is written back the same, and is within bounds.
func FuzzParse(f *testing.F) {
	f.Add(aLink().Text())
	f.Add("[::1]:2345#AQ")
	f.Add("h:1#" + strings.Repeat("A", 82))
	f.Add("#")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		if len(text) > maxLink+100 && len(strings.TrimSpace(text)) > maxLink {
			t.Errorf("%d bytes were accepted", len(text))
		}
		if back := l.Text(); back != strings.TrimSpace(text) {
			t.Errorf("%q is written back as %q", text, back)
		}
		again, err := Parse(l.Text())
		if err != nil || again != l {
			t.Errorf("%q is read differently again: %v", text, err)
		}
	})
}
