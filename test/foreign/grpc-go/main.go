// A gRPC client of grpc-go that resolves its target by xDS, as GRPC_XDS_BOOTSTRAP says. It calls
// grpc.health.v1.Health/Check every 20 ms and prints the answer's header `version`, a line each.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	_ "google.golang.org/grpc/xds"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client := grpc_health_v1.NewHealthClient(connection)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		var header metadata.MD
		_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header))
		cancel()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			fmt.Println("error")
		} else {
			fmt.Println(header.Get("version")[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
}
