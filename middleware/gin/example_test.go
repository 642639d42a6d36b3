package gingate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/remotedbg/remotedbg/gate"
	gingate "github.com/remotedbg/remotedbg/middleware/gin"
)

func Example() {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gingate.New(new(gate.Gate)), gin.Recovery())
	engine.GET("/orders/:id", func(c *gin.Context) {
		c.String(http.StatusOK, "order %s", c.Param("id"))
	})

	w := httptest.NewRecorder()
	engine.ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	fmt.Println(w.Body)
	// Output: order 7
}
