package invite

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
)

// MaxInvitations is how many a Desk makes at most: one for each session that an
// agent serves.
const MaxInvitations = 8

// DeskConfig is what a Desk needs to know. All of it is required.
type DeskConfig struct {
	Authority *Authority      // signs the certificates of clients
	Server    tls.Certificate // what the listener shows; the links pin it
	Process   Process         // what the invitations are bound to
	About     string          // the same for people: "shop (pid 4711)"
	Role      access.Role     // of whoever comes with an invitation
	Expires   time.Time       // of the invitations
}

// Desk makes invitations and takes them back. Its methods may be called from any
// goroutine.
type Desk struct {
	cfg    DeskConfig
	server [sha256.Size]byte

	mu   sync.Mutex
	made []*invitation
}

// invitation is a link and what became of it.
type invitation struct {
	link Link
	used bool
}

// Guest is somebody who has used an invitation.
type Guest struct {
	Name        string // as it calls itself; proves nothing
	Invitation  int    // which one, from 1; 0: none that is known
	Certificate []byte // what it got, DER; nil if it was refused
}

// String is how the guest's certificate names it.
func (g Guest) String() string { return fmt.Sprintf("invitation %d (%s)", g.Invitation, g.Name) }

// NewDesk makes a Desk without invitations; the error joins all mistakes of cfg.
func NewDesk(cfg DeskConfig) (*Desk, error) {
	var errs []error
	if cfg.Authority == nil {
		errs = append(errs, errors.New("remotedbg: invitations: no authority"))
	}
	if len(cfg.Server.Certificate) == 0 {
		errs = append(errs, errors.New("remotedbg: invitations: no server certificate"))
	}
	if cfg.Process.PID <= 0 {
		errs = append(errs, errors.New("remotedbg: invitations: no process"))
	}
	if !cfg.Role.May(access.Observe) {
		errs = append(errs, errors.New("remotedbg: invitations: no role"))
	}
	if cfg.Expires.IsZero() {
		errs = append(errs, errors.New("remotedbg: invitations: no time at which they expire"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Desk{cfg: cfg, server: sha256.Sum256(cfg.Server.Certificate[0])}, nil
}

// Invite makes an invitation to an agent that is reached at addr, HOST:PORT.
func (d *Desk) Invite(addr string) (Link, error) {
	if err := checkAddr(addr); err != nil {
		return Link{}, err
	}
	l := Link{Addr: addr, Expires: d.cfg.Expires.Truncate(time.Second), process: d.cfg.Process.id(), server: d.server}
	if _, err := rand.Read(l.secret[:]); err != nil {
		return Link{}, fmt.Errorf("remotedbg: invitation: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.made) == MaxInvitations {
		return Link{}, fmt.Errorf("remotedbg: invitation: %d have been made, which is the most", MaxInvitations)
	}
	d.made = append(d.made, &invitation{link: l})
	return l, nil
}

// Serve takes an invitation on conn, on which nothing but the handshake has
// happened, and answers. The caller bounds the time and closes conn. The error is a
// [Reason] if the invitation was refused; the client knows it then.
func (d *Desk) Serve(conn *tls.Conn) (Guest, error) {
	binding, err := Binding(conn.ConnectionState())
	if err != nil {
		return Guest{}, err
	}
	return d.answer(conn, binding)
}

// answer is Serve for a connection whose binding is known.
func (d *Desk) answer(conn io.ReadWriter, binding []byte) (Guest, error) {
	var asked request
	if err := receive(conn, &asked); err != nil {
		if isBroken(err) {
			return Guest{}, err
		}
		_ = send(conn, reply{Refused: Malformed})
		return Guest{}, fmt.Errorf("%w: %w", Malformed, err)
	}
	guest, err := d.redeem(asked, binding)
	if err != nil {
		var why Reason
		if !errors.As(err, &why) {
			why = Malformed
		}
		_ = send(conn, reply{Refused: why}) // it is refused whether it hears that or not
		return guest, err
	}
	err = send(conn, reply{Certificate: guest.Certificate, Role: d.cfg.Role.String(), Process: d.cfg.About})
	if err != nil {
		return guest, fmt.Errorf("remotedbg: invitation %d is used, but its certificate could not be sent: %w", guest.Invitation, err)
	}
	return guest, nil
}

// isBroken tells a connection that has failed from a message that is wrong.
func isBroken(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &timeout)
}

// redeem judges a request and, if it is good, uses the invitation up.
func (d *Desk) redeem(asked request, binding []byte) (Guest, error) {
	guest := Guest{Name: cleanName(asked.Name)}
	if _, err := x509.ParseCertificateRequest(asked.CSR); err != nil || asked.Version != linkVersion {
		return guest, Malformed
	}
	if process := d.cfg.Process.id(); !bytes.Equal(asked.Process, process[:]) {
		return guest, OtherProcess
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.find(asked, binding)
	if found < 0 {
		return guest, Unknown
	}
	guest.Invitation = found + 1
	switch in := d.made[found]; {
	case in.used:
		return guest, Used
	case !time.Now().Before(in.link.Expires):
		return guest, Expired
	}
	var err error
	guest.Certificate, err = d.cfg.Authority.Client(asked.CSR, guest.String())
	if err != nil {
		return guest, fmt.Errorf("%w: %w", Malformed, err)
	}
	d.made[found].used = true
	return guest, nil
}

// find is which invitation a proof was made with, -1 if none. It takes the same
// time for each: hmac.Equal is constant-time, and all are compared. Called under mu.
func (d *Desk) find(asked request, binding []byte) int {
	found := -1
	for i, in := range d.made {
		if hmac.Equal(asked.Proof, in.link.proof(binding, asked.CSR)) {
			found = i
		}
	}
	return found
}
