//go:build !(linux && amd64)

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

func attach(context.Context, attachOptions, io.Writer, io.Writer) error {
	return fmt.Errorf("attach runs on the host of the service and needs linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
}

func whoami(context.Context, attachOptions, io.Writer, io.Writer) error {
	return fmt.Errorf("attach runs on the host of the service and needs linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
}

func recoverProcess(attachOptions, io.Writer) error {
	return fmt.Errorf("recover runs on the host of the service and needs linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
}

func asWatchdog([]string) (code int, ours bool) { return 0, false }
