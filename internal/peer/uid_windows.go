package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// KnowsTCP says whether the owner of a TCP connection over loopback can be told on
// this system.
const KnowsTCP = true

func uid(net.Conn) (int, error) {
	return 0, fmt.Errorf("%w: Windows has no user numbers: %w", ErrUnknown, errors.ErrUnsupported)
}

// sameUser compares the user of the process that has the other end of conn with
// that of this process.
func sameUser(conn net.Conn) error {
	theirs, ours, err := ends(unwrap(conn))
	if err != nil {
		return err
	}
	pid, err := ownerOf(theirs, ours)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnknown, theirs, err)
	}
	them, err := userOfProcess(pid)
	if err != nil {
		return fmt.Errorf("%w: process %d: %w", ErrUnknown, pid, err)
	}
	us, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("%w: this process: %w", ErrUnknown, err)
	}
	if !them.User.Sid.Equals(us.User.Sid) {
		return fmt.Errorf("%w: process %d runs as %s", ErrOther, pid, them.User.Sid)
	}
	// The number may have been given to a new process meanwhile. Then the
	// connection is gone from the table, or is the new one's.
	if again, err := ownerOf(theirs, ours); err != nil || again != pid {
		return fmt.Errorf("%w: %s: its process %d has ended", ErrUnknown, theirs, pid)
	}
	return nil
}

func userOfProcess(pid uint32) (*windows.Tokenuser, error) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return nil, fmt.Errorf("open it: %w", err)
	}
	defer windows.CloseHandle(process)
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return nil, fmt.Errorf("open its token: %w", err)
	}
	defer token.Close()
	return token.GetTokenUser()
}

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

const (
	tcpTableOwnerPIDConnections = 4 // TCP_TABLE_OWNER_PID_CONNECTIONS (iprtrmib.h)
	mibTCPStateEstablished      = 5 // MIB_TCP_STATE_ESTAB (tcpmib.h)
	maxTable                    = 64 << 20
)

// ownerOf is the process that has the connection from local to remote, by
// GetExtendedTcpTable (iphlpapi.h).
func ownerOf(local, remote netip.AddrPort) (uint32, error) {
	family := uint32(windows.AF_INET6)
	if local.Addr().Is4() {
		family = windows.AF_INET
	}
	table, err := connections(family)
	if err != nil {
		return 0, err
	}
	return findOwner(table, family == windows.AF_INET, local, remote)
}

func connections(family uint32) ([]byte, error) {
	size := uint32(64 << 10)
	for size <= maxTable {
		table := make([]byte, size)
		code, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&table[0])), uintptr(unsafe.Pointer(&size)),
			0, uintptr(family), tcpTableOwnerPIDConnections, 0)
		switch windows.Errno(code) {
		case 0:
			return table, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += size / 4 // connections come meanwhile
		default:
			return nil, fmt.Errorf("read the table of connections: %w", windows.Errno(code))
		}
	}
	return nil, errors.New("the table of connections is too long")
}

// findOwner reads a MIB_TCPTABLE_OWNER_PID or MIB_TCP6TABLE_OWNER_PID: a count,
// and rows of 32-bit words. Ports are the low 16 bits of theirs, in network order.
func findOwner(table []byte, v4 bool, local, remote netip.AddrPort) (uint32, error) {
	rowSize, state, localAddr, localPort, remoteAddr, remotePort, pid := 24, 0, 4, 8, 12, 16, 20
	addrSize := 4
	if !v4 {
		rowSize, localAddr, localPort, remoteAddr, remotePort, state, pid = 56, 0, 20, 24, 44, 48, 52
		addrSize = 16
	}
	if len(table) < 4 {
		return 0, errors.New("the table of connections is empty")
	}
	count := binary.LittleEndian.Uint32(table)
	for rows := table[4:]; count > 0 && len(rows) >= rowSize; count, rows = count-1, rows[rowSize:] {
		at := func(addr, port int) netip.AddrPort {
			ip, _ := netip.AddrFromSlice(rows[addr : addr+addrSize])
			return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(rows[port:]))
		}
		if binary.LittleEndian.Uint32(rows[state:]) == mibTCPStateEstablished &&
			at(localAddr, localPort) == local && at(remoteAddr, remotePort) == remote {
			return binary.LittleEndian.Uint32(rows[pid:]), nil
		}
	}
	return 0, errors.New("no process of this machine has it")
}
