package main

import (
	"github.com/spf13/pflag"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// rightsFlags say what those who connect may do, and where it is written down. As
// typed, see attachFlags.
type rightsFlags struct {
	role, audit string
}

// rights are the flags once they are known to be right.
type rights struct {
	role  access.Role
	audit string // audit.Config.To; empty: the default file
}

func (f *rightsFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.role, "role", access.Control.String(), "`ROLE` of those who connect: observe (look), control (breakpoints and steps, too) or mutate (change values and call functions, too)")
	flags.StringVar(&f.audit, "audit", "", "`PATH`, syslog or journald: where it is written down who did what (default: $XDG_STATE_HOME/remotedbg/audit.log, else /var/log/remotedbg/audit.log for root, else below ~/.local/state)")
}

func (f rightsFlags) check(ms *mistakes) (r rights) {
	var err error
	if r.role, err = access.ParseRole(f.role); err != nil {
		ms.add("write --role observe, --role control or --role mutate", "--role %s: no such role", f.role)
	}
	switch r.audit = f.audit; r.audit {
	case "off", "none", "stderr", "stdout", "-":
		ms.add("--audit ./"+r.audit+" is a file of that name; /dev/null is refused as well: what is done to a live service is always written down",
			"--audit %s: name a file, %s or %s", r.audit, audit.ToSyslog, audit.ToJournald)
	}
	return r
}
