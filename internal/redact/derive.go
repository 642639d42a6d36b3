package redact

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// Derive returns what else is a secret where value is one: the credential behind
// its scheme, user and password of a basic one, the values of cookies, what an
// escaped one stands for.
func Derive(value string) []string {
	var list []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" && s != value {
			list = append(list, s)
		}
	}
	if scheme, rest, ok := strings.Cut(value, " "); ok && len(scheme) <= 16 {
		add(rest)
		if strings.EqualFold(scheme, "basic") {
			if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
				add(string(plain))
				_, password, _ := strings.Cut(string(plain), ":")
				add(password)
			}
		}
	}
	if strings.Contains(value, "=") && len(value) <= maxSecret {
		for i, pair := range strings.Split(value, ";") {
			if i == 64 {
				break
			}
			_, v, _ := strings.Cut(pair, "=")
			add(strings.Trim(strings.TrimSpace(v), `"`))
		}
	}
	if strings.ContainsAny(value, "%+") {
		if plain, err := url.QueryUnescape(value); err == nil {
			add(plain)
		}
	}
	return list
}
