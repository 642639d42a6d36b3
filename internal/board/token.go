//go:build linux && amd64

package board

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// ErrNoTokens means that the gate in the service is older than this agent and
// knows no tokens.
var ErrNoTokens = errors.New("the gate in the binary knows no tokens")

// TokenKey is the key of one session's tokens. gate/token.go describes tokens
// and is the only other place that knows their form.
type TokenKey [sha256.Size]byte

// NewTokenKey draws a key.
func NewTokenKey() TokenKey {
	var k TokenKey
	_, _ = rand.Read(k[:]) // never fails, see crypto/rand
	return k
}

// Token makes a token that is valid until expiry, on Now's clock.
func (k TokenKey) Token(expiry time.Duration) string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:])
	base64url := base64.RawURLEncoding
	text := "rdbg1." + base64url.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(expiry))) +
		"." + base64url.EncodeToString(nonce[:])
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(text))
	return text + "." + base64url.EncodeToString(mac.Sum(nil))
}
