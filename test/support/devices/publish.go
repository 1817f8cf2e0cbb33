package devices

import (
	"context"
	"fmt"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Publish creates the slices, or replaces those that are there.
func Publish(ctx context.Context, client kubernetes.Interface, slices []*resourceapi.ResourceSlice) error {
	api := client.ResourceV1().ResourceSlices()
	for _, slice := range slices {
		_, err := api.Create(ctx, slice, metav1.CreateOptions{})
		if errors.IsAlreadyExists(err) {
			var there *resourceapi.ResourceSlice
			if there, err = api.Get(ctx, slice.Name, metav1.GetOptions{}); err == nil {
				there.Spec = slice.Spec
				_, err = api.Update(ctx, there, metav1.UpdateOptions{})
			}
		}
		if err != nil {
			return fmt.Errorf("slice %s: %w", slice.Name, err)
		}
	}
	return nil
}

// PublishClasses creates the classes that are not there.
func PublishClasses(ctx context.Context, client kubernetes.Interface, classes []*resourceapi.DeviceClass) error {
	for _, class := range classes {
		_, err := client.ResourceV1().DeviceClasses().Create(ctx, class, metav1.CreateOptions{})
		if err != nil && !errors.IsAlreadyExists(err) {
			return fmt.Errorf("class %s: %w", class.Name, err)
		}
	}
	return nil
}

// Withdraw deletes all slices of these drivers, and their classes.
func Withdraw(ctx context.Context, client kubernetes.Interface) error {
	for _, class := range Classes() {
		ofDriver := metav1.ListOptions{FieldSelector: "spec.driver=" + class.Name}
		err := client.ResourceV1().ResourceSlices().DeleteCollection(ctx, metav1.DeleteOptions{}, ofDriver)
		if err != nil {
			return err
		}
		err = client.ResourceV1().DeviceClasses().Delete(ctx, class.Name, metav1.DeleteOptions{})
		if err != nil && !errors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
