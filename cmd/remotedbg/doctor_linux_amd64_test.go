package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// command is the path of a built remotedbg.
type command string

func buildCommand(t *testing.T) command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "remotedbg")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return command(path)
}

// doctor runs the command as a person does. Not in this process: doctor
// runs its own executable, which here would be the tests again.
func (remotedbg command) doctor(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(string(remotedbg), append([]string{"doctor"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestDoctor(t *testing.T) {
	remotedbg := buildCommand(t)
	for name, test := range map[string]func(*testing.T, command){
		"flags": testDoctorFlags, "no such process": testDoctorNoSuchProcess, "no Go program": testDoctorNoGo, "shop": testDoctorShop,
	} {
		t.Run(name, func(t *testing.T) { test(t, remotedbg) })
	}
}

func testDoctorFlags(t *testing.T, remotedbg command) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "one of --pid and --name is required"},
		{[]string{"--pid", "x"}, "not a process id"},
		{[]string{"--pid", "7", "--name", "x"}, "both name the process"},
		{[]string{"--nope"}, "unknown flag"},
		{[]string{"7"}, "unknown command"},
	} {
		code, stdout, stderr := remotedbg.doctor(t, c.args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%v: exit code %d, stdout %q, stderr\n%s", c.args, code, stdout, stderr)
		}
	}
}

func testDoctorNoSuchProcess(t *testing.T, remotedbg command) {
	// 4194304 is above the largest pid_max (proc_sys_kernel(5)).
	for _, args := range [][]string{{"--pid", "4194305"}, {"--name", "no-such-service-here"}} {
		code, stdout, stderr := remotedbg.doctor(t, args...)
		if code != exitFailed || !strings.Contains(stderr, "remotedbg: doctor: 1 of ") {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr)
		}
		for _, line := range []string{"\nfail  process ", "\n      hint: ", "ok    kernel ", "\nwarn  board "} {
			if !strings.Contains("\n"+stdout, line) {
				t.Errorf("%v: no %q in\n%s", args, line, stdout)
			}
		}
	}
}

func testDoctorNoGo(t *testing.T, remotedbg command) {
	cmd := sleeper(t, "remotedbg-no-go")
	code, stdout, _ := remotedbg.doctor(t, "--pid", strconv.Itoa(cmd.Process.Pid), "--json")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	var results []struct{ Check, Status, Detail, Advice *string }
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&results); err != nil {
		t.Fatalf("%v in\n%s", err, stdout)
	}
	status := make(map[string]string)
	for _, r := range results {
		if r.Check == nil || r.Status == nil || r.Detail == nil || r.Advice == nil {
			t.Fatalf("a field is missing in\n%s", stdout)
		}
		status[*r.Check] = *r.Status
	}
	for check, want := range map[string]string{"process": "ok", "executable": "fail", "gate": "fail", "board": "warn", "watchdog-session": "ok"} {
		if status[check] != want {
			t.Errorf("%s is %s, want %s", check, status[check], want)
		}
	}
}

func testDoctorShop(t *testing.T, remotedbg command) {
	shop := filepath.Join(t.TempDir(), "remotedbg-doctor-shop")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", shop, "./shop")
	build.Dir = filepath.Join("..", "..", filepath.FromSlash(targetsDir))
	build.Env = append(build.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	service, err := startChild("the service", &tail{}, shop, "-addr", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.end(childGrace)
	if _, err := service.firstOutput(t.Context()); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := remotedbg.doctor(t, "--name", filepath.Base(shop))
	if code != exitOK || stderr != "" || strings.Contains(stdout, "\nfail") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, line := range []string{"\nok    board ", "\nok    hw-slots              4 of 4", "\nok    watchdog-session "} {
		if !strings.Contains(stdout, line) {
			t.Errorf("no %q in\n%s", line, stdout)
		}
	}
}
