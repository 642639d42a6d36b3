package grpcgate

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/metadata"
)

// TestTokenIsTakenOut does what the gate does with a token, and looks at the
// metadata that the handler gets, and at what others hold.
func TestTokenIsTakenOut(t *testing.T) {
	md := metadata.Pairs("remotedbg-token", "secret", "cookie", "a=1; remotedbg_token=secret", "cookie", "b=2", "x", "1", "x", "2")
	ctx := metadata.NewIncomingContext(context.Background(), md)
	h := &header{ctx: ctx}
	if got := h.Values("Remotedbg-Token"); fmt.Sprint(got) != "[secret]" {
		t.Errorf("the token is %q", got)
	}
	if h.ctx != ctx {
		t.Error("reading replaced the context")
	}
	h.Del("Remotedbg-Token")
	h.Del("Cookie")
	h.Add("Cookie", "a=1")
	h.Add("Cookie", "b=2")
	got, _ := metadata.FromIncomingContext(h.ctx)
	if want := "map[cookie:[a=1 b=2] x:[1 2]]"; fmt.Sprint(got) != want {
		t.Errorf("the handler gets %v, want %s", got, want)
	}
	if got := md.Get("remotedbg-token"); fmt.Sprint(got) != "[secret]" {
		t.Errorf("the metadata that others hold was changed: %v", md)
	}
}

func TestWithoutMetadata(t *testing.T) {
	h := &header{ctx: context.Background()}
	if got := h.Values("Cookie"); got != nil {
		t.Errorf("got %q", got)
	}
}
