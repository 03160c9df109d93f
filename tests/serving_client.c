// A client of an exported SavedModel without Python: draws images and asks for their probabilities.
//
//   serving_client DIRECTORY NUM SEED TEMPERATURE TENSOR...
//
// The six tensors are num, seed, temperature and images of the signature sample, images and log_prob
// of the signature log_prob of an unconditional model, by their names in the graph as
// `saved_model_cli show` tells them, like sample_num:0. Prints a line for every image: its nats,
// then its bytes.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>

static TF_Status* status;

static void check(const char* what) {
  if (TF_GetCode(status) == TF_OK) return;
  printf("%s: error %d: %s\n", what, (int)TF_GetCode(status), TF_Message(status));
  exit(1);
}

// The output of an operation that a name like "sample_num:0" means.
static TF_Output output_of(TF_Graph* graph, const char* name) {
  char operation[256];
  const char* colon = strrchr(name, ':');
  if (colon == NULL || colon - name >= (long)sizeof operation) {
    printf("%s is no name of a tensor\n", name);
    exit(2);
  }
  snprintf(operation, sizeof operation, "%.*s", (int)(colon - name), name);
  TF_Output output = {TF_GraphOperationByName(graph, operation), atoi(colon + 1)};
  if (output.oper == NULL) {
    printf("there is no tensor %s\n", name);
    exit(2);
  }
  return output;
}

static TF_Tensor* scalar(TF_DataType type, const void* value, size_t size) {
  TF_Tensor* tensor = TF_AllocateTensor(type, NULL, 0, size);
  memcpy(TF_TensorData(tensor), value, size);
  return tensor;
}

static TF_Tensor* run(TF_Session* session, const TF_Output* inputs, TF_Tensor* const* values,
                      int num_inputs, TF_Output output, const char* what) {
  TF_Tensor* result = NULL;
  TF_SessionRun(session, NULL, inputs, values, num_inputs, &output, &result, 1, NULL, 0, NULL,
                status);
  check(what);
  return result;
}

int main(int argc, char** argv) {
  if (argc != 11) {
    printf("10 arguments are needed, see the source\n");
    return 2;
  }
  const int32_t num = atoi(argv[2]);
  const int64_t seed = atoll(argv[3]);
  const float temperature = strtof(argv[4], NULL);

  status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check("load");

  const TF_Output how[] = {output_of(graph, argv[5]), output_of(graph, argv[6]),
                           output_of(graph, argv[7])};
  TF_Tensor* values[] = {scalar(TF_INT32, &num, sizeof num), scalar(TF_INT64, &seed, sizeof seed),
                         scalar(TF_FLOAT, &temperature, sizeof temperature)};
  TF_Tensor* images = run(session, how, values, 3, output_of(graph, argv[8]), "sample");

  const TF_Output given = output_of(graph, argv[9]);
  TF_Tensor* nats = run(session, &given, &images, 1, output_of(graph, argv[10]), "log_prob");

  const int64_t count = TF_Dim(images, 0);
  const size_t size = TF_TensorByteSize(images) / count;
  for (int64_t i = 0; i < count; i++) {
    printf("%.9g", ((const float*)TF_TensorData(nats))[i]);
    const unsigned char* bytes = (const unsigned char*)TF_TensorData(images) + i * size;
    for (size_t j = 0; j < size; j++) printf(" %d", bytes[j]);
    printf("\n");
  }

  for (int i = 0; i < 3; i++) TF_DeleteTensor(values[i]);
  TF_DeleteTensor(images);
  TF_DeleteTensor(nats);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
