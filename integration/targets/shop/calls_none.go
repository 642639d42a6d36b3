//go:build !cgocalls

package main

import "net/http"

// registerCalls adds nothing: only the build with the tag cgocalls has the
// handler that calls C.
func registerCalls(*http.ServeMux) {}
