package access

import "testing"

func TestRolesIncludeTheOnesBefore(t *testing.T) {
	roles := []Role{0, Observe, Control, Mutate, Mutate + 1}
	for _, have := range roles[:4] {
		for _, need := range roles {
			want := need != 0 && need <= Mutate && have >= need
			if got := have.May(need); got != want {
				t.Errorf("%v may what needs %v: %t", have, need, got)
			}
		}
	}
	for _, r := range roles[1:4] {
		if back, err := ParseRole(r.String()); back != r || err != nil {
			t.Errorf("%v is read back as %v, %v", r, back, err)
		}
	}
	for _, s := range []string{"", "none", "root", "Control"} {
		if r, err := ParseRole(s); err == nil {
			t.Errorf("%q is read as %v", s, r)
		}
	}
}

func TestIdentityNamesItself(t *testing.T) {
	for want, who := range map[string]Identity{
		"nobody":                           {},
		"uid 1000 from unix, role observe": {Proof: ProofUID, UID: 1000, From: "unix", Role: Observe},
		"ada (uid 1000) from 127.0.0.1:9, role control":          {Proof: ProofUID, Name: "ada", UID: 1000, From: "127.0.0.1:9", Role: Control},
		"alice (certificate) from 203.0.113.7:4711, role mutate": {Proof: ProofCertificate, Name: "alice", From: "203.0.113.7:4711", Role: Mutate},
		"(none) from 203.0.113.7:4711, role none":                {Proof: ProofNone, From: "203.0.113.7:4711"},
	} {
		if got := who.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
