package invite

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

// clockSkew is how far the clock of whoever looks at a certificate may be behind.
const clockSkew = 5 * time.Minute

// Authority signs the certificates of one session. Its key is in memory only: when
// the agent ends, nobody can make another one. Its methods may be called from any
// goroutine.
type Authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	until time.Time
}

// NewAuthority makes a certificate authority (ECDSA P-256). Nothing that it signs
// is valid after until.
func NewAuthority(until time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: session certificates: %w", err)
	}
	a := &Authority{key: key, until: until}
	template, err := a.template("remotedbg session authority")
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	a.cert = template
	der, err := a.sign(template, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("remotedbg: session certificates: %w", err)
	}
	return a, nil
}

func (a *Authority) template(name string) (*x509.Certificate, error) {
	// RFC 5280 section 4.1.2.2: at most 20 octets, positive.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("remotedbg: session certificates: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-clockSkew),
		NotAfter:     a.until,
	}, nil
}

func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: session certificates: %w", err)
	}
	return der, nil
}

// Server makes the agent's certificate. The clients of an invitation know it by its
// hash; the addresses are for others.
func (a *Authority) Server(addrs ...netip.Addr) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("remotedbg: session certificates: %w", err)
	}
	template, err := a.template("remotedbg agent")
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, addr := range addrs {
		template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
	}
	der, err := a.sign(template, &key.PublicKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("remotedbg: session certificates: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// Client signs a certificate request. Of what it asks for only the key counts; name
// is the certificate's.
func (a *Authority) Client(csr []byte, name string) ([]byte, error) {
	asked, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: session certificates: request: %w", err)
	}
	if err := asked.CheckSignature(); err != nil {
		return nil, fmt.Errorf("remotedbg: session certificates: request: %w", err)
	}
	key, ok := asked.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("remotedbg: session certificates: request: the key is not ECDSA P-256")
	}
	template, err := a.template(name)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template, key)
}

// Pool is what the certificates of clients are verified against.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}
