package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/remotedbg/remotedbg/internal/doctor"
)

// diagnose prints what doctor finds of the process that o names. That there is
// no such process is a finding like the others, so that those about this
// machine are told, too. Findings that fail are an error.
func diagnose(o attachOptions, asJSON bool, stdout io.Writer) error {
	config := doctor.Config{}
	if self, err := os.Executable(); err == nil { // else that check says it was not made
		config.Child = []string{self, "version"}
	}
	if target, err := findProcess(o); err == nil {
		defer target.close()
		config.PID = target.pid
	} else {
		config.Missing, config.MissingAdvice = err, adviceOf(err)
	}

	var results []doctor.Result
	for r := range doctor.Run(config) {
		results = append(results, r)
		if asJSON {
			continue
		}
		if err := doctor.WriteText(stdout, r); err != nil {
			return fmt.Errorf("print the results: %w", err)
		}
	}
	if asJSON {
		if err := doctor.WriteJSON(stdout, results); err != nil {
			return fmt.Errorf("print the results: %w", err)
		}
	}
	if n := doctor.Count(results, doctor.Fail); n > 0 {
		return failure{
			err:  fmt.Errorf("doctor: %d of %d checks fail", n, len(results)),
			hint: "do what their hints say, from the first on: later ones often follow from it",
		}
	}
	return nil
}

// adviceOf is what to do about err.
func adviceOf(err error) string {
	var h hinter
	if errors.As(err, &h) {
		return h.Hint()
	}
	return "look for the process with ps -e, or use --pid"
}
