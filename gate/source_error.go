package gate

import "fmt"

// SourceReason says what is wrong with how a [Config] finds the client.
type SourceReason string

// The reasons for which New refuses a configuration.
const (
	// SourceNoProxies: a header is to be believed, but nobody's.
	SourceNoProxies SourceReason = "needs trusted proxies"

	// SourceMissing: somebody is trusted, but nothing that they say.
	SourceMissing SourceReason = "is missing"

	// SourceInvalidName: not a token as RFC 9110 section 5.1 wants it.
	SourceInvalidName SourceReason = "is not a valid header name"

	// SourceList: the header is a list, to which proxies append, or a copy of
	// one that the client sent.
	SourceList SourceReason = "is not a header with a single address"
)

// SourceError reports that the client cannot be found in the way a [Config]
// says.
type SourceError struct {
	Source ClientSource // as given
	Reason SourceReason
}

// Error implements error.
func (e *SourceError) Error() string {
	what := ": " + e.Source.String()
	hint := ""
	switch e.Reason {
	case SourceMissing:
		what = ""
		hint = ": say in which header the trusted proxies name the client, or trust none"
	case SourceNoProxies:
		hint = ": name in TrustedProxies who may send it, since clients can send it too"
	case SourceInvalidName:
		what = fmt.Sprintf(": %q", e.Source.name)
		hint = ": use letters, digits and hyphens, as in X-Real-Ip"
	case SourceList:
		hint = ": use FromXForwardedFor or FromForwarded, or the header that the proxy sets to the client's address alone"
	}
	return fmt.Sprintf("remotedbg: gate: Source%s %s%s", what, e.Reason, hint)
}

// sourceMistakes returns what is wrong with c but for its prefixes.
func (c *Config) sourceMistakes() []error {
	var errs []error
	mistake := func(r SourceReason) { errs = append(errs, &SourceError{Source: c.Source, Reason: r}) }
	trusts := len(c.TrustedProxies) > 0 || c.TrustUnix
	if c.Source.kind == sourcePeer {
		if trusts {
			mistake(SourceMissing)
		}
		return errs
	}
	if !trusts {
		mistake(SourceNoProxies)
	}
	if c.Source.kind == sourceHeader {
		switch name := c.Source.name; {
		case name == "" || tokenLen(name) < len(name):
			mistake(SourceInvalidName)
		case isListHeader(name):
			mistake(SourceList)
		}
	}
	return errs
}

// isListHeader reports whether proxies append to the header of that name, or
// keep in it a list as it came.
func isListHeader(name string) bool {
	switch name {
	case "X-Forwarded-For", "Forwarded", "Forwarded-For", "X-Forwarded", "X-Original-Forwarded-For", "Via", "X-Forwarded-By":
		return true
	}
	return false
}
