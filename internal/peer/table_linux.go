package peer

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// lookInTable finds the TCP socket with these addresses in proc_pid_net(5). It is
// the fallback of diagnose: it reads every connection of the host.
//
// thread-self: "self" would be the namespace of the main thread.
func lookInTable(local, remote netip.AddrPort) (socket, error) {
	var failed error
	for _, name := range []string{"tcp", "tcp6"} {
		s, err := lookIn("/proc/thread-self/net/"+name, name == "tcp6", local, remote)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, errNoSocket), errors.Is(err, os.ErrNotExist) && name == "tcp6": // no IPv6
		default:
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return socket{}, failed
	}
	return socket{}, errNoSocket
}

func lookIn(path string, v6 bool, local, remote netip.AddrPort) (socket, error) {
	f, err := os.Open(path)
	if err != nil {
		return socket{}, fmt.Errorf("open the table of connections: %w", err)
	}
	defer f.Close()
	want := []string{tableAddr(local, v6), tableAddr(remote, v6)}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || !slices.Equal(fields[1:3], want) {
			continue
		}
		state, err1 := strconv.ParseUint(fields[3], 16, 8)
		uid, err2 := strconv.ParseUint(fields[7], 10, 32)
		inode, err3 := strconv.ParseUint(fields[9], 10, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return socket{}, fmt.Errorf("read %s: %w", path, err)
		}
		return socket{uid: uint32(uid), inode: uint32(inode), state: uint8(state)}, nil
	}
	if err := lines.Err(); err != nil {
		return socket{}, fmt.Errorf("read %s: %w", path, err)
	}
	return socket{}, errNoSocket
}

// tableAddr writes an address as the table does: words of 32 bits of the address in
// network order, each printed as a number of this machine (net/ipv4/tcp_ipv4.c,
// get_tcp4_sock). Linux on a big-endian machine prints the bytes as they are.
func tableAddr(a netip.AddrPort, v6 bool) string {
	bytes := a.Addr().AsSlice()
	if v6 {
		as16 := a.Addr().As16() // sockets of AF_INET6 have IPv4 addresses mapped
		bytes = as16[:]
	} else if a.Addr().Is6() {
		return "none"
	}
	if littleEndian {
		for word := range slices.Chunk(bytes, 4) {
			slices.Reverse(word)
		}
	}
	return strings.ToUpper(hex.EncodeToString(bytes)) + fmt.Sprintf(":%04X", a.Port())
}
