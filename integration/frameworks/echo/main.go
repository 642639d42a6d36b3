// Command echo is an example service on echo version 4.
package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/frameworks/serve"
	echogate "github.com/remotedbg/remotedbg/middleware/echo"
)

func main() {
	e := echo.New()
	e.Use(echogate.New(new(gate.Gate)), middleware.Recover())
	e.GET("/orders/:id", order)
	e.GET("/panics/:id", unlucky)
	serve.Run(e)
}

// order answers with the price of an order.
func order(c echo.Context) error {
	id, err := strconv.Atoi(c.Param("id")) //bp:order-entry
	if err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	total := price(id)                                                           //bp:order-price
	return c.JSON(http.StatusOK, map[string]int{"id": id, "total_cents": total}) //bp:order-priced
}

//go:noinline
func price(id int) int {
	return id*100 + 99 //bp:price
}

// unlucky panics with an error of its own.
func unlucky(c echo.Context) error {
	id := c.Param("id")
	panic(fmt.Errorf("order %s is unlucky", id)) //bp:unlucky
}
