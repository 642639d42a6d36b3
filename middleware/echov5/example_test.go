package echov5gate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/remotedbg/remotedbg/gate"
	echov5gate "github.com/remotedbg/remotedbg/middleware/echov5"
)

func Example() {
	e := echo.New()
	e.Use(echov5gate.New(new(gate.Gate)), middleware.Recover())
	e.GET("/orders/:id", func(c *echo.Context) error {
		return c.String(http.StatusOK, "order "+c.Param("id"))
	})

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	fmt.Println(w.Body)
	// Output: order 7
}
