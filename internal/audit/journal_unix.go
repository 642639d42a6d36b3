//go:build unix

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

const journalSocket = "/run/systemd/journal/socket"

// journal speaks the journal's native protocol: a datagram an entry, a line a field
// (systemd.io/JOURNAL_NATIVE_PROTOCOL). Lines are bounded far below what a datagram
// holds, so that the detour by a sealed memfd for big ones is never needed.
type journal struct {
	path string
	conn *net.UnixConn // nil: to be made
}

func openJournal(path string) (sink, error) {
	j := &journal{path: path}
	if err := j.dial(); err != nil {
		return nil, fmt.Errorf("remotedbg: audit to journald: %w: write to a file or to syslog where there is no systemd", err)
	}
	return j, nil
}

func (j *journal) String() string { return ToJournald }

func (j *journal) dial() (err error) {
	j.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.path, Net: "unixgram"})
	return err
}

// write sends one entry, and once more when the journal was started anew.
func (j *journal) write(line []byte) error {
	entry := journalEntry(line)
	err := j.send(entry)
	if err != nil {
		err = j.send(entry)
	}
	return err
}

func (j *journal) send(entry []byte) error {
	if j.conn == nil {
		if err := j.dial(); err != nil {
			return err
		}
	}
	err := j.conn.SetWriteDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = j.conn.Write(entry)
	}
	if err != nil {
		_ = j.conn.Close()
		j.conn = nil
	}
	return err
}

// journalEntry is a line as the journal takes it. A value without a newline may
// stand after an equals sign, and lines of JSON have none inside.
func journalEntry(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	var about struct {
		Event string `json:"event"`
	}
	_ = json.Unmarshal(line, &about) // the line is ours
	return fmt.Appendf(nil, "MESSAGE=%s\nPRIORITY=5\nSYSLOG_IDENTIFIER=remotedbg\nSYSLOG_FACILITY=10\nREMOTEDBG_EVENT=%s\n", line, about.Event)
}

func (j *journal) sync() error { return nil }

func (j *journal) close() error {
	if j.conn == nil {
		return nil
	}
	return j.conn.Close()
}
