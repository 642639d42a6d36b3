package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/access"
)

func TestAuditTarget(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name  string
		asked string
		uid   int
		env   map[string]string
		want  string
	}{
		{"asked for", "syslog", 0, map[string]string{"XDG_STATE_HOME": dir}, "syslog"},
		{"state directory", "", 1000, map[string]string{"XDG_STATE_HOME": dir, "HOME": "/no-home"}, dir + "/remotedbg/audit.log"},
		{"state directory of root", "", 0, map[string]string{"XDG_STATE_HOME": dir}, dir + "/remotedbg/audit.log"},
		{"home", "", 1000, map[string]string{"HOME": dir}, dir + "/.local/state/remotedbg/audit.log"},
		{"relative state directory", "", 1000, map[string]string{"XDG_STATE_HOME": "state", "HOME": dir}, dir + "/.local/state/remotedbg/audit.log"},
		{"nothing", "", 1000, nil, ""},
		{"relative home", "", 1000, map[string]string{"HOME": "."}, ""},
	} {
		got, err := auditTarget(tt.asked, tt.uid, func(key string) string { return tt.env[key] })
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		if folder := filepath.Dir(got); err == nil && tt.asked == "" {
			if st, err := os.Stat(folder); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("%s: %s: %v, %v", tt.name, folder, st, err)
			}
		}
	}
}

func TestRightsFlags(t *testing.T) {
	for _, tt := range []struct {
		flags   rightsFlags
		want    rights
		mistake string
	}{
		{rightsFlags{role: "control"}, rights{role: access.Control}, ""},
		{rightsFlags{role: "mutate", audit: "journald"}, rights{role: access.Mutate, audit: "journald"}, ""},
		{rightsFlags{role: "observe", audit: "./off"}, rights{role: access.Observe, audit: "./off"}, ""},
		{rightsFlags{role: "root"}, rights{}, "--role root: no such role"},
		{rightsFlags{role: ""}, rights{}, "no such role"},
		{rightsFlags{role: "control", audit: "off"}, rights{}, "--audit off"},
		{rightsFlags{role: "control", audit: "-"}, rights{}, "--audit -"},
	} {
		var ms mistakes
		got := tt.flags.check(&ms)
		if tt.mistake == "" && (len(ms) > 0 || got != tt.want) {
			t.Errorf("%+v: %+v, %v", tt.flags, got, ms)
		}
		if tt.mistake != "" && (len(ms) != 1 || !strings.Contains(ms[0].text, tt.mistake) || ms[0].hint == "") {
			t.Errorf("%+v: mistakes %v", tt.flags, ms)
		}
	}
}
