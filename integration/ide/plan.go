//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// plan is the argument of session.mjs.
type plan struct {
	URL          string `json:"url"`    // of VS Code
	Folder       string `json:"folder"` // that it opens
	Chromium     string `json:"chromium"`
	Screenshots  string `json:"screenshots"`
	SideBar      int    `json:"sideBar"` // its width in pixels
	Service      string `json:"service"`
	Allowed      string `json:"allowed"`      // where the requests to debug come from
	OtherAddress string `json:"otherAddress"` // where the others come from
	Others       int    `json:"others"`       // how many are sent while one is frozen
	File         string `json:"file"`         // in Folder
	BreakLine    int    `json:"breakLine"`
	First        int    `json:"first"`  // the order that is alone
	Second       int    `json:"second"` // the two at the same time
	Third        int    `json:"third"`
	Last         int    `json:"last"` // the one that is frozen at the disconnect
}

// saw is what session.mjs prints.
type saw struct {
	Configuration string // chosen in the Run view
	VerifiedLine  int    // of the breakpoint, once the agent had taken it
	One           struct {
		shown
		Arrow   int    // line of the arrow in the gutter
		Message string // beside the title of the call stack
		Frames  []row
		Fields  []variable // with order expanded
	}
	Request  []variable // its scope Request
	Others   int        // served while it was frozen
	HeldThen bool       // whether it was unanswered after that
	Stepped  shown
	OneReply reply

	Two, OneMoved []row // the threads
	GoneReply     reply // of the third order, which was continued first
	Left          shown // then, of the second
	LeftMessage   string
	LeftHeld      bool
	LeftReply     reply

	EndReply      reply
	Notifications []string
}

// shown is a stopped request as the editor and the variables view show it.
type shown struct {
	Line      int // the highlighted one
	Variables []variable
}

// row is one of the call stack: a thread or a frame.
type row struct {
	Thread, State string
	Frame, File   string
	Line          int
}

type variable struct{ Name, Value string }

type reply struct {
	Status int
	Body   string
}

// launch is the name of the launch configuration.
const launch = "shop through remotedbg"

// writeFolder makes the folder that VS Code opens: a copy of the sources, as on
// the machine of somebody who did not build the service, with a launch
// configuration.
func writeFolder(dir, sources string, a *harness.Agent) error {
	if err := os.CopyFS(dir, os.DirFS(sources)); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, ".vscode", "launch.json"), map[string]any{
		"version": "0.2.0",
		"configurations": []any{map[string]any{
			"name": launch, "type": "remotedbg", "request": "attach", "host": "127.0.0.1", "port": number,
			"substitutePath": []any{map[string]string{"from": dir, "to": sources}},
		}},
	})
}

// writeSettings makes VS Code's user settings: nothing that asks, and nothing
// that wants the network.
func writeSettings(userData string) error {
	return writeJSON(filepath.Join(userData, "User", "settings.json"), map[string]any{
		"telemetry.telemetryLevel":                     "off",
		"update.mode":                                  "none",
		"extensions.autoUpdate":                        false,
		"extensions.autoCheckUpdates":                  false,
		"extensions.ignoreRecommendations":             true,
		"security.workspace.trust.enabled":             false,
		"workbench.startupEditor":                      "none",
		"workbench.enableExperiments":                  false,
		"workbench.secondarySideBar.defaultVisibility": "hidden",
		"workbench.tips.enabled":                       false,
		"chat.disableAIFeatures":                       true,
		"git.enabled":                                  false,
		"remote.autoForwardPorts":                      false,
		"debug.internalConsoleOptions":                 "neverOpen",
	})
}

func writeJSON(file string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
