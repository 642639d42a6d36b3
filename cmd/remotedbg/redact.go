package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// redactFlags say what of the service's data is not shown. As typed, see
// attachFlags.
type redactFlags struct {
	file string
	none bool
}

// redaction are the flags once they are known to be right.
type redaction struct {
	policy *redact.Policy // nil: the default rules
	lifted bool           // for those whose role is mutate
}

func (f *redactFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.file, "redact-file", "", "`FILE` of rules that add to what counts as a secret and is not shown, and take from it")
	flags.BoolVar(&f.none, "no-redaction", false, "show secrets to those whose role is mutate; fields with the struct tag remotedbg:\"-\" stay hidden")
}

func (f redactFlags) check(ms *mistakes) (r redaction) {
	r.lifted = f.none
	if f.file == "" {
		return r
	}
	file, err := os.Open(f.file)
	if err != nil {
		ms.add("name a file that this user can read", "--redact-file: %v", err)
		return r
	}
	defer file.Close()
	if r.policy, err = redact.Parse(file, f.file); err != nil {
		for _, line := range joined(err) {
			ms.add("docs/redaction.md has the format: name, show, remove or pattern and what it is about", "--redact-file %s", strings.TrimPrefix(line.Error(), "remotedbg: "))
		}
	}
	return r
}

// joined is the errors that errors.Join has joined.
func joined(err error) []error {
	var list interface{ Unwrap() []error }
	if errors.As(err, &list) {
		return list.Unwrap()
	}
	return []error{err}
}
