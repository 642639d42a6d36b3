package gingate_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/remotedbg/remotedbg/middleware/adaptertest"
	gingate "github.com/remotedbg/remotedbg/middleware/gin"
)

// TestGin is what handlers rely on that is gin's own. The middleware around the
// gate sees what gin tells it about the rest: aborted or not, errors, status.
func TestGin(t *testing.T) {
	for _, row := range []struct {
		name, path, want string
		inner, handler   gin.HandlerFunc
	}{
		{"abort in middleware", "/orders/7", "403 Forbidden|no|aborted true errors [] status 403",
			func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusForbidden, "no") },
			func(c *gin.Context) { c.String(http.StatusOK, "must not run") }},
		{"abort in the handler", "/orders/7", "aborted true errors [Error #01: boom\n] status 500",
			nil, func(c *gin.Context) { _ = c.AbortWithError(http.StatusInternalServerError, errors.New("boom")) }},
		{"errors", "/orders/7", "aborted false errors [Error #01: boom\n] status 202",
			nil, func(c *gin.Context) {
				_ = c.Error(errors.New("boom"))
				c.Status(http.StatusAccepted)
			}},
		{"keys and pattern", "/orders/7", "outer inner /orders/:id 7",
			func(c *gin.Context) { c.Set("inner", "inner") },
			func(c *gin.Context) {
				c.String(http.StatusOK, "%s %s %s %s", c.GetString("outer"), c.GetString("inner"), c.FullPath(), c.Param("id"))
			}},
		{"middleware that waits for the rest", "/orders/7", "handler, after",
			func(c *gin.Context) {
				c.Next()
				c.Writer.WriteString(", after")
			},
			func(c *gin.Context) { c.String(http.StatusOK, "handler") }},
		{"no route", "/nowhere", "404 Not Found|404 page not found", nil, nil},
		{"Stream and SSEvent", "/orders/7", "event:tick\ndata:2\n\n",
			nil, func(c *gin.Context) {
				n := 0
				c.Stream(func(io.Writer) bool {
					c.SSEvent("tick", n)
					n++
					return n < 3
				})
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			adaptertest.Compare(t, row.want, func(t *testing.T, s adaptertest.Setup) string {
				after := ""
				outer := func(c *gin.Context) {
					c.Set("outer", "outer")
					c.Next()
					after = fmt.Sprint("aborted ", c.IsAborted(), " errors [", c.Errors, "] status ", c.Writer.Status(), " size ", c.Writer.Size())
				}
				return serve(t, s, row.path, outer, row.inner, row.handler) + "|" + after
			})
		})
	}
}

// serve sends one request to an engine and returns what came of it.
func serve(t *testing.T, s adaptertest.Setup, path string, outer, inner, handler gin.HandlerFunc) string {
	t.Helper()
	engine := gin.New()
	engine.Use(outer)
	if !s.Bare {
		engine.Use(gingate.New(s.Gate))
	}
	if inner != nil {
		engine.Use(inner)
	}
	if handler != nil {
		engine.GET("/orders/:id", handler)
	}
	srv := httptest.NewServer(engine)
	resp, err := srv.Client().Get(srv.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	srv.Close() // waits for the handlers
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + "|" + strings.Trim(string(body), `"`)
}
