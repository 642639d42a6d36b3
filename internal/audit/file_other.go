//go:build !unix

package audit

import "errors"

func openFile(string) (sink, error) {
	return nil, errors.New("remotedbg: audit: files are written on unix systems only, where the agent runs")
}
