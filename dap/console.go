//go:build linux && amd64

package dap

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"
)

// What people who know Delve type into the debug console: "dlv" and a command.

// maxListed bounds the lines that one command prints.
const maxListed = 1000

// A consoleCommand answers a line; args is what comes after its name.
type consoleCommand struct {
	names []string
	usage string
	about string
	run   func(c *conn, frameID int, args string) (string, error)
}

var consoleCommands []consoleCommand

func init() { // an initialiser would be a cycle: help lists itself
	consoleCommands = []consoleCommand{
		{[]string{"help", "h"}, "dlv help [command]", "says what can be typed here", (*conn).consoleHelp},
		{[]string{"config"}, "dlv config -list [name]; dlv config <name> <value>; dlv config substitutePath <from> <to>, <from> or -clear",
			"shows and changes settings", (*conn).consoleConfig},
		{[]string{"sources", "s"}, "dlv sources [regular expression]", "lists the source files of the binary", (*conn).consoleSources},
		{[]string{"stack", "bt", "stacktrace", "where"}, "dlv stack [depth]", "prints the stack of the stopped request", (*conn).consoleStack},
		{[]string{"requests", "threads", "goroutines", "grs"}, "dlv requests", "lists the requests in flight", (*conn).consoleRequests},
	}
}

// consoleInstead says what does the work of Delve's other commands here.
var consoleInstead = map[string]string{
	"print":       "type the expression itself",
	"p":           "type the expression itself",
	"whatis":      "type the expression itself: its type is shown with it",
	"locals":      "open Locals in the variables pane",
	"args":        "open Locals in the variables pane: arguments are in it",
	"vars":        "type package.Name; after the dot the console completes the package's variables",
	"set":         "change the value in the variables pane, or with Set Expression on a watch",
	"regs":        "use the disassembly view",
	"break":       "set breakpoints in the editor or in the breakpoints pane",
	"b":           "set breakpoints in the editor or in the breakpoints pane",
	"trace":       "set a log point in the editor",
	"condition":   "edit the breakpoint in the editor",
	"clear":       "remove breakpoints in the editor or in the breakpoints pane",
	"clearall":    "remove breakpoints in the breakpoints pane",
	"continue":    "use the buttons of the request in the call stack pane",
	"next":        "use the buttons of the request in the call stack pane",
	"step":        "use the buttons of the request in the call stack pane",
	"stepout":     "use the buttons of the request in the call stack pane",
	"goroutine":   "select the request in the call stack pane; a thread is a request here",
	"thread":      "select the request in the call stack pane",
	"frame":       "select the frame in the call stack pane",
	"list":        "select the frame in the call stack pane: the editor shows its line",
	"disassemble": "open the disassembly view of a frame",
	"examinemem":  "open the memory view of a variable, or type *(*[16]uint8)(0xADDRESS)",
	"x":           "open the memory view of a variable, or type *(*[16]uint8)(0xADDRESS)",
	"libraries":   "open the modules view",
	"types":       "type a conversion: a wrong type's name is refused",
	"funcs":       "set a function breakpoint: /regular expression/ sets one in each function that fits",
	"target":      "one agent debugs one process: run remotedbg attach for another one",
	"restart":     "send the request again: the service is not started anew",
	"exit":        "disconnect: the service and its requests go on",
	"quit":        "disconnect: the service and its requests go on",
	"detach":      "disconnect: the service and its requests go on",
	"dump":        "a live service is never stopped for a dump: use gcore on a copy of it",
}

// isConsole tells a command from an expression.
func isConsole(expr string) bool { return expr == "dlv" || strings.HasPrefix(expr, "dlv ") }

// consoleLine answers a line that begins with dlv.
func (c *conn) consoleLine(frameID int, line string) (dap.EvaluateResponseBody, error) {
	name, args, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "dlv")), " ")
	if name == "" {
		name = "help"
	}
	for _, cmd := range consoleCommands {
		if slices.Contains(cmd.names, name) {
			out, err := cmd.run(c, frameID, strings.TrimSpace(args))
			return dap.EvaluateResponseBody{Result: out}, err
		}
	}
	if instead := consoleInstead[name]; instead != "" {
		return dap.EvaluateResponseBody{}, kindDlv.becauseOf(fmt.Sprintf("%s: %s", name, instead))
	}
	return dap.EvaluateResponseBody{}, kindDlv.becauseOf(fmt.Sprintf("there is no command %q", clip(name, maxKey)))
}

func (c *conn) consoleHelp(_ int, args string) (string, error) {
	if args != "" {
		for _, cmd := range consoleCommands {
			if slices.Contains(cmd.names, args) {
				return fmt.Sprintf("%s: %s\n", cmd.usage, cmd.about), nil
			}
		}
		if instead := consoleInstead[args]; instead != "" {
			return fmt.Sprintf("%s: %s\n", args, instead), nil
		}
		return "", kindDlv.becauseOf(fmt.Sprintf("there is no command %q", clip(args, maxKey)))
	}
	var b strings.Builder
	b.WriteString("Type an expression to evaluate it in the selected frame, or one of:\n")
	for _, cmd := range consoleCommands {
		fmt.Fprintf(&b, "    dlv %-10s %s", cmd.names[0], cmd.about)
		if len(cmd.names) > 1 {
			fmt.Fprintf(&b, " (also: %s)", strings.Join(cmd.names[1:], ", "))
		}
		b.WriteByte('\n')
	}
	b.WriteString("dlv help <command of Delve> says what does its work here.\n")
	return b.String(), nil
}

func (c *conn) consoleSources(_ int, args string) (string, error) {
	pattern, err := regexp.Compile(args)
	if err != nil {
		return "", kindDlv.because(err)
	}
	var lines []string
	for _, f := range c.sess.Sources() {
		if f != "" && f != wrapperFile && pattern.MatchString(f) {
			lines = append(lines, f)
		}
	}
	slices.Sort(lines)
	return listed(lines), nil
}

// listed is one line for each, up to a bound.
func listed(lines []string) string {
	if len(lines) == 0 {
		return "none\n"
	}
	more := ""
	if n := len(lines) - maxListed; n > 0 {
		lines, more = lines[:maxListed], fmt.Sprintf("... and %d more\n", n)
	}
	return strings.Join(lines, "\n") + "\n" + more
}

func (c *conn) consoleStack(frameID int, args string) (string, error) {
	depth := wholeStack
	if args != "" {
		n, err := strconv.Atoi(args)
		if err != nil || n < 1 {
			return "", kindDlv.becauseOf(fmt.Sprintf("depth %q is no number of frames", clip(args, maxKey)))
		}
		depth = min(n, maxListed)
	}
	f, err := c.evaluationFrame(frameID)
	if err != nil {
		return "", err
	}
	var lines []string
	err = c.inspect(f.req, kindStack, func(t *proc.Target) error {
		frames, err := unwind(t, depth)
		if err != nil {
			return err
		}
		for i := range frames[:min(depth, len(frames))] {
			loc := &frames[i].Call
			name := "?"
			if loc.Fn != nil {
				name = loc.Fn.Name
			}
			lines = append(lines, fmt.Sprintf("%3d  %#x in %s\n     at %s:%d", i, loc.PC, name, c.paths.toClient(loc.File), loc.Line))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return listed(lines), nil
}

func (c *conn) consoleRequests(int, string) (string, error) {
	var lines []string
	for _, r := range c.sess.Requests() {
		state := "running"
		if r.Frozen {
			state = "stopped"
		}
		lines = append(lines, fmt.Sprintf("%4d  %-8s %s", r.ID, state, r.Name()))
	}
	return listed(lines), nil
}

// consoleNames are what may come after "dlv", for completions.
func consoleNames(rest string) []dap.CompletionItem {
	var list []dap.CompletionItem
	switch name, _, more := strings.Cut(rest, " "); {
	case !more:
		for _, cmd := range consoleCommands {
			list = append(list, dap.CompletionItem{Label: cmd.names[0], Type: "keyword", Detail: cmd.about})
		}
	case name == "config":
		for _, s := range settings {
			list = append(list, dap.CompletionItem{Label: s.name, Type: "property"})
		}
	}
	return list
}
