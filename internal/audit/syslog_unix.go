//go:build unix

package audit

import (
	"bytes"
	"fmt"
	"log/syslog"
)

// syslogged hands lines to the machine's syslog daemon. It says that a line has
// arrived there; what it does with it is its configuration's.
type syslogged struct{ w *syslog.Writer }

// openSyslog connects to the socket at path, or to the machine's own if path is empty.
func openSyslog(path string) (sink, error) {
	network := ""
	if path != "" {
		network = "unixgram"
	}
	w, err := syslog.Dial(network, path, syslog.LOG_AUTHPRIV|syslog.LOG_NOTICE, "remotedbg")
	if err != nil {
		return nil, fmt.Errorf("remotedbg: audit to syslog: %w: start the daemon, or write to a file", err)
	}
	return &syslogged{w}, nil
}

func (s *syslogged) String() string { return ToSyslog }

// write reconnects once by itself when the daemon was started anew.
func (s *syslogged) write(line []byte) error {
	_, err := s.w.Write(bytes.TrimSuffix(line, []byte{'\n'}))
	return err
}

func (s *syslogged) sync() error  { return nil }
func (s *syslogged) close() error { return s.w.Close() }
