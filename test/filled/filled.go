// Package filled makes values in which nothing is zero, for tests that a type's fields are
// all written and read.
package filled

import "reflect"

// Set sets what p points to: numbers to 1, strings to "x", lists to one element.
// Fields that are not exported stay as they are.
func Set(p any) { set(reflect.ValueOf(p).Elem()) }

func set(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				set(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		set(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	}
}
