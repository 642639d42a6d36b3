package redact_test

import (
	"fmt"
	"testing"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// TestAlike: the tokens of a service begin alike, and each is known however many
// there were before it.
func TestAlike(t *testing.T) {
	var s redact.Secrets
	for i := range 300 {
		token := fmt.Sprintf("session-%04d-%d", i, i*i)
		s.Add(token, i == 0)
		if got := s.Scrub("in "+token+" it", false); got != "in "+redact.Mark+" it" {
			t.Fatalf("%d: %q", i, got)
		}
	}
	for i := range 3000 { // each has some forms
		s.Add(fmt.Sprintf("forever-%d", i), true)
		if i < 1000 {
			continue
		}
		if got := s.Scrub(fmt.Sprintf("forever-%d", i), true); got != redact.Mark {
			t.Fatalf("hidden for ever, %d: %q", i, got)
		}
	}
}
