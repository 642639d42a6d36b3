// Package access says who is at the other end of a connection and what that one
// may do.
//
// It owns the roles and the identity. How an identity is proved is internal/door's,
// which command needs which role is said in the tables of dap and internal/dlvrpc.
// It starts no goroutine; its values are immutable.
package access

import (
	"fmt"
	"strings"
)

// Role is what a connection may do. Each includes the ones before it. The zero
// Role may do nothing.
type Role int

const (
	// Observe: stops, stacks, variables, evaluation without side effects.
	Observe Role = iota + 1
	// Control: breakpoints and stepping, too.
	Control
	// Mutate: changes to the service's memory and calls of its functions, too.
	Mutate
)

var roleNames = [...]string{Observe: "observe", Control: "control", Mutate: "mutate"}

// String is the role as flags and audit write it.
func (r Role) String() string {
	if r < Observe || r > Mutate {
		return "none"
	}
	return roleNames[r]
}

// May says whether r includes need. Nobody may what needs no known role: a
// command that was forgotten in a table is refused.
func (r Role) May(need Role) bool { return need >= Observe && need <= Mutate && r >= need }

// ParseRole reads a role as String writes it.
func ParseRole(s string) (Role, error) {
	for r := Observe; r <= Mutate; r++ {
		if s == roleNames[r] {
			return r, nil
		}
	}
	return 0, fmt.Errorf("remotedbg: role %q: write one of %s", s, strings.Join(roleNames[Observe:], ", "))
}

// Proof is how an identity was established.
type Proof string

const (
	ProofUID         Proof = "uid"         // the kernel named the owner of the other end
	ProofCertificate Proof = "certificate" // a client certificate, RFC 8446 section 4.4.2
	ProofToken       Proof = "token"       // a secret over TLS
	ProofNone        Proof = "none"        // --dangerously-listen-without-tls
)

// Identity is who is at the other end. The zero Identity is nobody.
type Identity struct {
	Proof Proof
	Name  string // the certificate's name or the user's; for people, never compared
	UID   int    // valid with ProofUID only
	From  string // the address it came from, as text
	Role  Role
}

// String names it in a log line: "alice (certificate) from 203.0.113.7:4711, role control".
func (i Identity) String() string {
	if i.Proof == "" {
		return "nobody"
	}
	who := i.Name
	if i.Proof == ProofUID {
		who = fmt.Sprintf("uid %d", i.UID)
		if i.Name != "" {
			who = fmt.Sprintf("%s (uid %d)", i.Name, i.UID)
		}
	} else {
		who = fmt.Sprintf("%s (%s)", who, i.Proof)
	}
	return fmt.Sprintf("%s from %s, role %s", strings.TrimSpace(who), i.From, i.Role)
}
