//go:build linux && amd64

package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ownCertificates makes ca.pem, agent.pem, agent.key, alice.pem and alice.key in
// dir: by the script of docs/access.md where there is an openssl to run it, and
// else the same ones.
func ownCertificates(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(builder.Root, "docs", "access.md"))
	must(t, err)
	_, script, ok := strings.Cut(string(text), "```sh\n")
	script, _, _ = strings.Cut(script, "```")
	if !ok || !strings.Contains(script, "openssl") {
		t.Fatal("docs/access.md does not say how to make certificates")
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Logf("the script of docs/access.md was not run: %v", err)
		authority := newAuthority(t, dir)
		authority.issue(t, dir, "agent", x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		authority.issue(t, dir, "alice", x509.Certificate{EmailAddresses: []string{"alice@shop.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		return
	}
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) authority {
	t.Helper()
	a := authority{cert: &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	a.cert, a.key = a.issue(t, dir, "ca", *a.cert)
	return a
}

// issue writes NAME.pem and NAME.key; an authority without a key signs its own.
func (a authority) issue(t *testing.T, dir, name string, c x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(24*time.Hour)
	parent, signer := a.cert, a.key
	if signer == nil {
		parent, signer = &c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, parent, &key.PublicKey, signer)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der},
		name + ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		must(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
	made, err := x509.ParseCertificate(der)
	must(t, err)
	return made, key
}
