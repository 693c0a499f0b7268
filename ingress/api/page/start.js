SwaggerUIBundle({
  url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null, docExpansion: "list",
  defaultModelsExpandDepth: 0, tryItOutEnabled: false, persistAuthorization: false
});
