// Command gin is an example service on gin.
package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/frameworks/serve"
	gingate "github.com/remotedbg/remotedbg/middleware/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gingate.New(new(gate.Gate)), gin.Recovery())
	engine.GET("/orders/:id", order)
	engine.GET("/panics/:id", unlucky)
	serve.Run(engine)
}

// order answers with the price of an order.
func order(c *gin.Context) {
	id, err := strconv.Atoi(c.Param("id")) //bp:order-entry
	if err != nil {
		c.AbortWithStatus(http.StatusBadRequest)
		return
	}
	total := price(id)                                           //bp:order-price
	c.JSON(http.StatusOK, gin.H{"id": id, "total_cents": total}) //bp:order-priced
}

//go:noinline
func price(id int) int {
	return id*100 + 99 //bp:price
}

// unlucky panics with an error of its own.
func unlucky(c *gin.Context) {
	id := c.Param("id")
	panic(fmt.Errorf("order %s is unlucky", id)) //bp:unlucky
}
