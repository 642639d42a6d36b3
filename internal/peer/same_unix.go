//go:build linux || darwin

package peer

import (
	"fmt"
	"net"
	"os"
)

func sameUser(conn net.Conn) error {
	theirs, err := uid(conn)
	if err != nil {
		return err
	}
	if ours := os.Geteuid(); theirs != ours {
		return fmt.Errorf("%w: uid %d, not %d", ErrOther, theirs, ours)
	}
	return nil
}
