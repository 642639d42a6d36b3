package forward

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

const (
	// maxHeader bounds the header of a message and maxSmall a body that is looked
	// into: the messages that end a session are shorter.
	maxHeader = 1 << 10
	maxSmall  = 1 << 10
)

// messages follows a stream of DAP messages on its way past. It knows where one
// ends, how many there were, and whether the session is over. It is not safe for
// concurrent use.
type messages struct {
	header []byte // of the current message, as far as it came
	left   int    // bytes of the current body that have not come
	body   []byte // of the current message, if it is small
	small  bool
	count  int
	over   bool // a terminated event or the response to disconnect has passed
	lost   bool // what came is not DAP; nothing is known any more
}

// between says whether the stream is at the end of a message.
func (m *messages) between() bool { return !m.lost && m.left == 0 && len(m.header) == 0 }

// see takes the next bytes of the stream.
func (m *messages) see(p []byte) {
	for len(p) > 0 && !m.lost {
		if m.left == 0 {
			p = m.head(p)
			continue
		}
		n := min(m.left, len(p))
		if m.small {
			m.body = append(m.body, p[:n]...)
		}
		m.left -= n
		p = p[n:]
		if m.left == 0 {
			m.end()
		}
	}
}

// head takes bytes of a header and returns those behind it.
func (m *messages) head(p []byte) []byte {
	for i, c := range p {
		m.header = append(m.header, c)
		if len(m.header) > maxHeader {
			m.lost = true
			return nil
		}
		if c != '\n' || !bytes.HasSuffix(m.header, []byte("\r\n\r\n")) {
			continue
		}
		length, ok := contentLength(m.header)
		if !ok {
			m.lost = true
			return nil
		}
		m.header = m.header[:0]
		m.left, m.body, m.small = length, m.body[:0], length <= maxSmall
		if length == 0 {
			m.end()
		}
		return p[i+1:]
	}
	return nil
}

// end looks at a whole message.
func (m *messages) end() {
	m.count++
	if !m.small {
		return
	}
	var about struct{ Type, Event, Command string }
	if json.Unmarshal(m.body, &about) != nil {
		return
	}
	if about.Type == "event" && about.Event == "terminated" || about.Type == "response" && about.Command == "disconnect" {
		m.over = true
	}
}

// contentLength reads the header of a message.
func contentLength(header []byte) (int, bool) {
	for line := range strings.Lines(string(header)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(strings.TrimSpace(name), "content-length") {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
			return int(n), err == nil
		}
	}
	return 0, false
}
