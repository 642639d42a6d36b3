package gingate_test

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/remotedbg/remotedbg/middleware/adaptertest"
	gingate "github.com/remotedbg/remotedbg/middleware/gin"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

var framework = adaptertest.Framework{Recovers: true, Build: func(s adaptertest.Setup) http.Handler {
	engine := gin.New()
	recovery := gin.RecoveryWithWriter(io.Discard)
	if s.Recovery == adaptertest.RecoveryOutside {
		engine.Use(recovery)
	}
	switch {
	case s.Idle:
		engine.Use(func(*gin.Context) {})
	case !s.Bare:
		engine.Use(gingate.New(s.Gate))
	}
	if s.Recovery == adaptertest.RecoveryInside {
		engine.Use(recovery)
	}
	h := func(c *gin.Context) { s.Handler(c.Writer, c.Request) }
	engine.GET("/orders/:id", h)
	engine.POST("/orders/:id", h)
	return engine
}}

func TestAdapter(t *testing.T) { adaptertest.Test(t, framework) }

func BenchmarkOverhead(b *testing.B) { adaptertest.BenchmarkOverhead(b, framework) }
