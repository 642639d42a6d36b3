package daptest

import "github.com/google/go-dap"

// Variable is a variable as the server shows it.
type Variable = dap.Variable

// Children lists the children of a scope or variable by name.
func (c *Client) Children(reference int) (map[string]Variable, error) {
	list, err := c.Variables(reference)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]Variable, len(list))
	for _, v := range list {
		byName[v.Name] = v
	}
	return byName, nil
}
