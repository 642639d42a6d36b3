package proxyproto_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/remotedbg/remotedbg/middleware/proxyproto"
)

func ExampleListen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} // the load balancer
	proxied, err := proxyproto.Listen(ln, trusted)
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "you are", r.RemoteAddr)
	})}
	go srv.Serve(proxied)
	defer srv.Close()

	// What the load balancer sends.
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	io.WriteString(c, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\nGET / HTTP/1.1\r\nHost: shop\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.Copy(lineWriter{}, resp.Body)
	// Output: you are 203.0.113.7:4711
}

// Incorrect use: the network that the clients come from is trusted. Whoever is
// in it writes the header himself, and is whoever he likes.
func ExampleListen_incorrect() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	_, err = proxyproto.Listen(ln, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")})
	fmt.Println(err)
	// Output: remotedbg: gate: TrustedProxies[0]: 0.0.0.0/0 admits every address of its family: name the proxies, since whoever is trusted can claim any address
}

type lineWriter struct{}

func (lineWriter) Write(p []byte) (int, error) { return fmt.Print(string(p)) }
